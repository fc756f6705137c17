//! The language as its user meets it: files in, a workflow or diagnostics out.

use std::collections::BTreeMap;

use super::*;

mod accepted;
mod expanded;
mod files;
mod hostile;
mod looks;
mod refused;
mod schema;

/// Files that exist only here.
struct Memory<'a>(&'a [(&'a str, &'a [u8])]);

impl Loader for Memory<'_> {
    fn load(&mut self, path: &str) -> Result<Vec<u8>, String> {
        let file = self.0.iter().find(|(name, _)| *name == path);
        file.map(|(_, bytes)| bytes.to_vec())
            .ok_or_else(|| "there is no such file".to_owned())
    }
}

/// Reads `paths` of these files with these params.
fn read_all(paths: &[&str], files: &[(&str, &[u8])], params: &[(&str, &str)]) -> Loaded {
    let paths: Vec<_> = paths.iter().map(|&path| path.to_owned()).collect();
    let params: Vec<_> = params
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let environment = BTreeMap::from([("USER".to_owned(), "ada".to_owned()), ("N".to_owned(), "4".to_owned())]);
    let request = Request {
        paths: &paths,
        params: &params,
        environment: &environment,
        cpus: 8,
    };
    read(&request, &mut Memory(files))
}

fn read_one(yaml: &str) -> Loaded {
    read_all(&["flow.yaml"], &[("flow.yaml", yaml.as_bytes())], &[])
}

/// Each finding as a line: code, file unless it is the first, line:column, message.
fn shown(loaded: &Loaded) -> String {
    let lines = loaded.diagnostics.iter().map(|diagnostic| {
        let place = diagnostic.place.map_or_else(String::new, |place| {
            let (line, column) = loaded.files.line_column(place);
            match place.file {
                0 => format!("{line}:{column} "),
                _ => format!("{}:{line}:{column} ", loaded.files.of(place).path),
            }
        });
        format!("{} {place}{}", diagnostic.code, diagnostic.message)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The workflow, which must be without any finding.
#[track_caller]
fn accepted(yaml: &str) -> Workflow {
    let loaded = read_one(yaml);
    assert_eq!(shown(&loaded), "");
    loaded.workflow.expect("a workflow without findings is handed out")
}

/// The workflow that has just this under its version.
#[track_caller]
fn accepted_body(yaml: &str) -> Workflow {
    accepted(&format!("forkyard: 1\n{yaml}"))
}

/// The findings about a file that begins with its version, which is line 1.
#[track_caller]
fn check(yaml: &str, expected: &str) {
    let loaded = read_one(&format!("forkyard: 1\n{yaml}"));
    assert_eq!(shown(&loaded), expected);
    assert!(loaded.workflow.is_none());
}

/// The findings about one process, whose fields begin at 2:16.
#[track_caller]
fn check_process(fields: &str, expected: &str) {
    check(&format!("processes: {{p: {{{fields}}}}}\n"), expected);
}
