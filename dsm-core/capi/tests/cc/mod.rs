//! Builds C programs against libdsm as a person would, with the system's compiler.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Which of the two libraries a program is linked with.
#[derive(Clone, Copy, Debug)]
pub enum Library {
    Shared,
    Static,
}

/// Compiles `source`, which must not cause a warning; answers where the program is. `None`, said on stderr, where the system has
/// no C compiler.
pub fn compile(source: &Path, library: Library) -> Option<PathBuf> {
    if Command::new("cc").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("skipped: no C compiler (`cc`) is here to build {} with", source.display());
        return None;
    }
    // Cargo leaves the libraries of what a test depends on beside the test.
    let test = std::env::current_exe().unwrap();
    let libraries = test.parent().unwrap();
    let name = format!("{}-{library:?}", source.file_stem().unwrap().to_string_lossy());
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut cc = Command::new("cc");
    cc.args(["-O2", "-std=c11", "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(include())
        .arg(source)
        .arg("-o")
        .arg(&program);
    match library {
        Library::Shared => cc.arg("-L").arg(libraries).arg("-ldsm").arg(format!("-Wl,-rpath,{}", libraries.display())),
        Library::Static => cc.arg(libraries.join("libdsm.a")).args(["-lpthread", "-ldl", "-lm"]),
    };
    let output = cc.output().unwrap();
    assert!(output.status.success(), "{cc:?}\n{}", String::from_utf8_lossy(&output.stderr));
    Some(program)
}

/// Where `dsm.h` is: seen from this crate, or from one beside it.
fn include() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let places = [here.join("include"), here.join("../dsm-core/capi/include")];
    places.into_iter().find(|place| place.join("dsm.h").exists()).unwrap()
}
