//! The exit codes of every command, in one place.

/// The command has done what it was asked for.
pub const DONE: u8 = 0;

/// `check`: there are findings. A verb: empty, full, taken, not set, closed, broken, or timed out.
/// (`run` takes its own codes from the verdict of the run: 0, 1, 124, 128 + signal.)
pub const NOT_DONE: u8 = 1;

/// The workflow or the command line is invalid; nothing was started. clap exits with the same code.
pub const INVALID: u8 = 2;

/// The engine, or the command itself, could not do its work: a full disk, no run of that name.
pub const UNABLE: u8 = 3;

/// A verb: the workflow has not declared it, or the verb was called outside a run.
pub const UNDECLARED: u8 = 3;

/// `run --wait`: not everything was ready in time, which is the code of a run that takes too long.
pub const LATE: u8 = 124;

/// `lock`: the command was found and cannot be executed, as in a shell.
pub const NOT_EXECUTABLE: u8 = 126;

/// `lock`: the command was not found, as in a shell.
pub const NOT_FOUND: u8 = 127;

/// Added to a signal's number, as in a shell.
pub const SIGNALLED: u8 = 128;

/// The reader of stdout has gone (`forkyard graph | head`): what a shell shows for a program killed by SIGPIPE.
pub const BROKEN_PIPE: u8 = SIGNALLED + 13;
