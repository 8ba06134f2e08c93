// SPDX-License-Identifier: MIT OR Apache-2.0

//! A server on tokio whose futures take turns on one thread, and that tells for which connection it
//! works:  tokio ADDRESS
//!
//! A request is a line with a number; the server counts so far, in steps between which others have
//! their turn, and answers with the line. `VS_HINT=off` in the environment: it tells nothing.

use std::env;
use std::hint::black_box;
use std::io;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use vs_hint::Hint;

/// How far it counts in one turn.
const STEP: u64 = 20_000;

async fn serve(mut connection: TcpStream) -> io::Result<()> {
    let (reader, mut writer) = connection.split();
    let mut lines = BufReader::new(reader).lines();
    while let Some(line) = lines.next_line().await? {
        let wanted: u64 = line.parse().map_err(io::Error::other)?;
        let mut counted = 0;
        while counted < wanted {
            for _ in 0..STEP.min(wanted - counted) {
                counted = black_box(counted) + 1;
            }
            tokio::task::yield_now().await;
        }
        writer.write_all(format!("{counted}\n").as_bytes()).await?;
    }
    Ok(())
}

async fn run(address: &str) -> io::Result<()> {
    let hint = match env::var_os("VS_HINT") {
        Some(off) if off == "off" => Hint::default(),
        _ => Hint::open(),
    };
    let listener = TcpListener::bind(address).await?;
    loop {
        let (connection, _) = listener.accept().await?;
        let told = hint.connection(&connection)?;
        tokio::spawn(told.serve(serve(connection)));
    }
}

fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:7777".to_owned());
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?
        .block_on(run(&address))
}
