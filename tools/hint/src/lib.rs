// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tells Virtual Services for which connection a thread works (`uapi/vs_hint.h`).
//!
//! A server needs this where the kernel cannot see for whom a thread works: where requests are
//! handed to worker threads through memory, or where one thread runs many futures in turns. Its
//! hints are believed if a rule of the gate `hint` says so, as in
//! `hint task=my-server => task=socket`. Without Virtual Services all calls do nothing, so that a
//! server can always make them.
//!
//! A worker thread of a job queue:
//!
//! ```no_run
//! # fn work(_: &std::net::TcpStream) {}
//! # let jobs: std::sync::mpsc::Receiver<std::net::TcpStream> = std::sync::mpsc::channel().1;
//! let hint = vs_hint::Hint::open();
//! for connection in jobs {
//!     hint.serves(&connection);
//!     work(&connection);
//!     hint.done();
//! }
//! ```
//!
//! A future works for its connection whenever it is polled:
//!
//! ```no_run
//! # async fn serve(_: tokio::net::TcpStream) {}
//! # async fn run(listener: tokio::net::TcpListener) -> std::io::Result<()> {
//! let hint = vs_hint::Hint::open();
//! loop {
//!     let (connection, _) = listener.accept().await?;
//!     let told = hint.connection(&connection)?;
//!     tokio::spawn(told.serve(serve(connection)));
//! }
//! # }
//! ```

use std::fs::File;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The device by which hints are given.
const DEVICE: &str = "/dev/vshint";

mod request {
    nix::ioctl_write_int_bad!(serves, nix::request_code_none!(0xb6, 1));
    nix::ioctl_write_int_bad!(done, nix::request_code_none!(0xb6, 2));
}

/// The way to give hints. Cloning it is cheap; all threads can share one.
#[derive(Clone, Debug, Default)]
pub struct Hint(Option<Arc<File>>);

impl Hint {
    /// Opens the device. Where there is none, all calls do nothing.
    pub fn open() -> Self {
        Hint(File::open(DEVICE).ok().map(Arc::new))
    }

    /// The calling thread serves `socket` from here on; its work before is done. Says whether
    /// it works for another service than its own home now. Does nothing if it is no socket.
    pub fn serves(&self, socket: &impl AsFd) -> bool {
        let Some(device) = &self.0 else { return false };
        // SAFETY: Both descriptors are open for the duration of the call, which takes a number and
        // writes nothing to memory.
        let works = unsafe { request::serves(device.as_raw_fd(), socket.as_fd().as_raw_fd()) };
        works == Ok(1)
    }

    /// The calling thread has done with its work in hand.
    pub fn done(&self) {
        if let Some(device) = &self.0 {
            // SAFETY: The descriptor is open; the call takes a number and writes nothing to memory.
            let _ = unsafe { request::done(device.as_raw_fd(), 0) };
        }
    }

    /// A connection that a future is to serve. It is a descriptor of its own, so that it names this
    /// connection as long as it lives; and so long the connection stays open.
    ///
    /// # Errors
    ///
    /// Those of dup(2).
    pub fn connection(&self, socket: &impl AsFd) -> io::Result<Connection> {
        Ok(Connection {
            hint: self.clone(),
            socket: socket.as_fd().try_clone_to_owned()?,
        })
    }
}

/// A connection that is served: [`Hint::connection`].
#[derive(Debug)]
pub struct Connection {
    hint: Hint,
    socket: OwnedFd,
}

impl Connection {
    /// A future that runs `future`, and works for the connection whenever it is polled,
    /// on whichever thread that is.
    pub fn serve<F: Future>(self, future: F) -> Serving<F> {
        Serving {
            connection: self,
            future: Box::pin(future),
        }
    }
}

/// The future of [`Connection::serve`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are polled"]
pub struct Serving<F> {
    connection: Connection,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Serving<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let hint = self.connection.hint.clone();
        hint.serves(&self.connection.socket);
        let polled = self.future.as_mut().poll(context);
        hint.done();
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn without_a_device_nothing_happens() {
        let hint = Hint::default();
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(!hint.serves(&socket));
        hint.done();
    }

    #[test]
    fn the_requests_are_those_of_the_header() {
        let header = concat!(env!("CARGO_MANIFEST_DIR"), "/../../uapi/vs_hint.h");
        let header = std::fs::read_to_string(header).unwrap();
        assert!(header.contains("#define VS_HINT_MAGIC 0xB6\n"));
        assert!(header.contains("#define VS_HINT_SERVES _IO(VS_HINT_MAGIC, 1)\n"));
        assert!(header.contains("#define VS_HINT_DONE _IO(VS_HINT_MAGIC, 2)\n"));
    }

    #[test]
    fn a_future_is_polled_to_its_end() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut turns = 3;
        let counts = std::future::poll_fn(|context| {
            turns -= 1;
            context.waker().wake_by_ref();
            if turns > 0 {
                Poll::Pending
            } else {
                Poll::Ready("done")
            }
        });
        let future = Hint::open().connection(&socket).unwrap().serve(counts);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        assert_eq!(runtime.block_on(future), "done");
    }
}
