// SPDX-License-Identifier: MIT OR Apache-2.0
//! Makes the parts of vsctl that come from the rest of the repository: the types of uapi/vs.h, and
//! the BPF objects that it loads.
//!
//! Every *.bpf.c of vs_module/bpf, vs_module/gates and vs_sched is an object: a new file needs no
//! line here.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{anyhow, ensure, Context, Result};
use libbpf_cargo::SkeletonBuilder;

/// Names the kernel's vmlinux.h; without it, the vmlinux.h of the build tree's kernel is taken.
const VMLINUX: &str = "VS_VMLINUX";
/// Folders, from the top of the repository, whose *.bpf.c are objects.
const BPF_FOLDERS: [&str; 3] = ["vs_module/bpf", "vs_module/gates", "vs_sched"];

/// The headers shared with C: the ABI, the records of the iterators, the counters of the scheduler.
const HEADERS: [&str; 3] = ["uapi/vs.h", "vs_module/bpf/records.h", "vs_sched/scx_vs.h"];

fn main() {
    if let Err(error) = make() {
        println!("cargo::error={error:#}");
    }
}

fn make() -> Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?)
        .join("../..")
        .canonicalize()?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    abi(&HEADERS.map(|header| root.join(header)), &out)?;
    objects(&root, &out)
}

/// Types and constants of the headers. Command numbers are expressions that bindgen does not
/// evaluate, so each is made a constant first.
fn abi(headers: &[PathBuf; 3], out: &Path) -> Result<()> {
    let mut wrapper = String::new();
    for header in headers {
        println!("cargo::rerun-if-changed={}", header.display());
        writeln!(wrapper, "#include \"{}\"", header.display())?;
    }
    let text = fs::read_to_string(&headers[0]).with_context(|| headers[0].display().to_string())?;
    for name in text
        .lines()
        .filter_map(|line| line.strip_prefix("#define ")?.split_whitespace().next())
    {
        if name.starts_with("VS_IOC_") && name != "VS_IOC_MAGIC" {
            writeln!(wrapper, "static const unsigned int NR_{name} = {name};")?;
        }
    }
    // bindgen leaves out a macro with an argument: this is the first of the values VS_REF(n)
    writeln!(wrapper, "static const unsigned int NR_VS_REF = VS_REF(0);")?;
    bindgen::builder()
        .header_contents("wrapper.h", &wrapper)
        .allowlist_item("(NR_)?(VS|vs)_.*")
        .blocklist_item("VS_IOC_.*")
        .prepend_enum_name(false)
        .derive_default(true)
        .generate()?
        .write_to_file(out.join("abi.rs"))?;
    Ok(())
}

/// Compiles the BPF objects and lists them in objects.rs.
fn objects(root: &Path, out: &Path) -> Result<()> {
    let vmlinux = vmlinux()?;
    let include = vmlinux.parent().context("vmlinux.h is in no folder")?;
    println!("cargo::rerun-if-changed={}", vmlinux.display());
    let mut list = String::from("&[\n");
    for folder in BPF_FOLDERS {
        let folder = root.join(folder);
        println!("cargo::rerun-if-changed={}", folder.display());
        for source in sources(&folder)? {
            let file = source
                .file_name()
                .and_then(|name| name.to_str())
                .context("name of a BPF source")?;
            let name = file.trim_end_matches(".bpf.c");
            let object = out.join(format!("{name}.bpf.o"));
            // The headers of 7.2 embed named structs, whose layouts clang gets wrong without the
            // extension.
            let arguments = [
                "-mcpu=v3".to_owned(),
                "-fms-extensions".to_owned(),
                "-Wno-microsoft-anon-tag".to_owned(),
                format!("-I{}", include.display()),
                format!("-I{}", root.join("vs_sched").display()),
            ];
            SkeletonBuilder::new()
                .source(&source)
                .obj(&object)
                .clang_args(arguments)
                .build()
                .map_err(|error| anyhow!("{}: {error:#}", source.display()))?;
            writeln!(
                list,
                "Embedded {{ name: {name:?}, bytes: include_object!({:?}) }},",
                object.display().to_string()
            )?;
        }
    }
    list.push(']');
    fs::write(out.join("objects.rs"), list)?;
    Ok(())
}

fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.to_str().is_some_and(|path| path.ends_with(".bpf.c")) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The header with the kernel's types.
fn vmlinux() -> Result<PathBuf> {
    println!("cargo::rerun-if-env-changed={VMLINUX}");
    println!("cargo::rerun-if-env-changed=KREL");
    let path = match (env::var(VMLINUX), env::var("KREL")) {
        (Ok(path), _) => PathBuf::from(path),
        (_, Ok(release)) => Path::new("/kernels").join(release).join("vmlinux.h"),
        _ => PathBuf::new(),
    };
    ensure!(
        path.is_file(),
        "the kernel's vmlinux.h is needed to compile the BPF programs: build inside \
         tools/vm/enter, or set {VMLINUX}=/path/to/vmlinux.h (made by `bpftool btf dump file \
         /sys/kernel/btf/vmlinux format c`)"
    );
    Ok(path)
}
