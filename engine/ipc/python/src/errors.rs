//! The crate's errors as Python's.

use forkyard_ipc::Error;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::{PyErr, import_exception};

import_exception!(forkyard._errors, Broken);
import_exception!(forkyard._errors, Closed);
import_exception!(forkyard._errors, Damaged);
import_exception!(forkyard._errors, NoSuchName);
import_exception!(forkyard._errors, NotAPickle);
import_exception!(forkyard._errors, NotDeclared);
import_exception!(forkyard._errors, OutsideRun);
import_exception!(forkyard._errors, RunEnded);
import_exception!(forkyard._errors, TooLarge);
import_exception!(forkyard._errors, TooManyProcesses);
import_exception!(forkyard._errors, WrongKind);
import_exception!(queue, Empty);
import_exception!(queue, Full);
import_exception!(threading, BrokenBarrierError);

/// What Python is told where nothing special is to be said.
#[cold]
pub fn to_python(error: &Error) -> PyErr {
    let text = error.to_string();
    match error {
        Error::Io(refused) => match refused.error.raw_os_error() {
            Some(code) => PyOSError::new_err((code, text)),
            None => PyOSError::new_err(text),
        },
        Error::NoSpace => PyOSError::new_err((ENOSPC, text)),
        Error::NotAChannel | Error::Version { .. } | Error::WrongKind { .. } => WrongKind::new_err(text),
        Error::Damaged => Damaged::new_err(text),
        Error::TooManyClients { .. } => TooManyProcesses::new_err(text),
        Error::TooLarge { .. } => TooLarge::new_err(text),
        Error::Closed => Closed::new_err(text),
        Error::Broken => Broken::new_err(text),
        Error::BrokenBarrier => BrokenBarrierError::new_err(()),
        Error::Nonsense(_) | Error::TooMany { .. } | Error::NotHeld => PyValueError::new_err(text),
        // Never told to a client, or dealt with before: `Busy`, `Interrupted`, and what later versions add.
        _ => PyOSError::new_err(text),
    }
}

const ENOSPC: i32 = 28;
