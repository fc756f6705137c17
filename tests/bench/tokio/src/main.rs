//! Starts short programs by `tokio::process`, two at a time, while so many other children live: the seconds from start to
//! start are printed.

use std::error::Error;
use std::io::PipeReader;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let mut next = || words.next().ok_or("LIVE COUNT PROGRAM are wanted");
    let (live, count, program) = (next()?.parse::<usize>()?, next()?.parse::<usize>()?, next()?);
    // They read until this program has ended, and the pipe with it.
    let (reader, _writer) = std::io::pipe()?;
    let mut crowd = (0..live).map(|_| reads(&reader)).collect::<Result<Vec<Child>>>()?;
    // Somebody waits for each of them, as a supervisor does.
    let waiting = async {
        for child in &mut crowd {
            child.wait().await?;
        }
        Err::<f64, Box<dyn Error>>("one of the crowd has ended".into())
    };
    await_stillness()?;
    let seconds = tokio::select! {
        seconds = launches(count, &program) => seconds?,
        ended = waiting => ended?,
    };
    println!("{seconds}");
    // They are not waited for: what matters is over.
    std::process::exit(0);
}

/// The crowd sleeps, and nobody but this program is ready to run; or there has been no such moment for a long time.
fn await_stillness() -> Result<()> {
    for _ in 0..300 {
        let load = std::fs::read_to_string("/proc/loadavg")?;
        let ready = load.split(' ').nth(3).and_then(|tasks| tasks.split_once('/'));
        if ready.is_some_and(|(ready, _)| ready == "1") {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn reads(reader: &PipeReader) -> Result<Child> {
    let mut command = Command::new("/bin/cat");
    command.stdin(reader.try_clone()?).stdout(Stdio::null());
    Ok(command.spawn()?)
}

/// The seconds from one start to the next.
async fn launches(count: usize, program: &str) -> Result<f64> {
    let began = Instant::now();
    let mut last = None;
    for _ in 0..count {
        let child = Command::new(program).spawn()?;
        if let Some(before) = last.replace(child) {
            succeeded(before).await?;
        }
    }
    if let Some(child) = last {
        succeeded(child).await?;
    }
    Ok(began.elapsed().as_secs_f64() / count as f64)
}

async fn succeeded(mut child: Child) -> Result<()> {
    let status = child.wait().await?;
    if status.success() { Ok(()) } else { Err(format!("{status}").into()) }
}
