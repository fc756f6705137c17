//! What all verbs share: the connection to the engine around them, and what its answers mean for an exit code.

use forkyard_ipc::client::{Client, ClientError, Granted};

use crate::exit;
use crate::failure::Failure;
use crate::screen;

/// The client of the process that this program was started by.
pub fn client() -> Result<Client, Failure> {
    Client::from_environment().map_err(|error| failure(&error))
}

/// Done, or not in time: a script asks for the exit code, so nothing is said.
pub fn in_time(answer: Result<bool, ClientError>) -> Result<u8, Failure> {
    match answer {
        Ok(true) => Ok(exit::DONE),
        Ok(false) | Err(ClientError::Closed) => Ok(exit::NOT_DONE),
        Err(error) => Err(failure(&error)),
    }
}

/// Acquired, or not in time. That the holder before died is said on stderr: it is a success, but not a quiet one.
pub fn acquired(name: &str, answer: Result<Option<Granted>, ClientError>) -> Result<u8, Failure> {
    if let Ok(Some(Granted { orphaned: true })) = answer {
        screen::complain(&format!(
            "forkyard: who held `{name}` before has died with it: what it guards may be half done"
        ));
    }
    in_time(answer.map(|granted| granted.is_some()))
}

/// Done, or the reason why not.
pub fn done(answer: Result<(), ClientError>) -> Result<u8, Failure> {
    in_time(answer.map(|()| true))
}

/// What went wrong, in words, with its exit code.
pub fn failure(error: &ClientError) -> Failure {
    let exit = match error {
        ClientError::OutsideRun
        | ClientError::UnknownToken(_)
        | ClientError::NotDeclared(_)
        | ClientError::NoSuchName(_)
        | ClientError::WrongKind(_) => exit::UNDECLARED,
        ClientError::NotHeld(_) | ClientError::TooLarge(_) | ClientError::Closed | ClientError::Broken => {
            exit::NOT_DONE
        }
        ClientError::TooMany(_) => exit::INVALID,
        ClientError::RunEnded | ClientError::Unable(_) | ClientError::Protocol(_) | ClientError::Io(_) => exit::UNABLE,
    };
    let message = match error {
        ClientError::OutsideRun => {
            "not inside a run: this is for programs that a workflow starts; see `forkyard run --help`".to_owned()
        }
        other => other.to_string(),
    };
    Failure::Words { exit, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_vain_is_no_failure_but_says_nothing() {
        assert!(matches!(in_time(Ok(true)), Ok(exit::DONE)));
        assert!(matches!(in_time(Ok(false)), Ok(exit::NOT_DONE)));
        assert!(matches!(in_time(Err(ClientError::Closed)), Ok(exit::NOT_DONE)));
    }

    #[test]
    fn outside_a_run_it_says_where_it_belongs() {
        let failure = failure(&ClientError::OutsideRun);
        assert_eq!(failure.exit(), 3);
        let expected = "not inside a run: this is for programs that a workflow starts; see `forkyard run --help`";
        assert_eq!(failure.to_string(), expected);
    }

    #[test]
    fn every_error_has_its_code() {
        let words = || "x".to_owned();
        let cases = [
            (ClientError::NotDeclared(words()), 3),
            (ClientError::NoSuchName(words()), 3),
            (ClientError::WrongKind(words()), 3),
            (ClientError::Unable(words()), 3),
            (ClientError::UnknownToken(words()), 3),
            (ClientError::RunEnded, 3),
            (ClientError::NotHeld(words()), 1),
            (ClientError::Broken, 1),
            (ClientError::TooLarge(words()), 1),
            (ClientError::TooMany(words()), 2),
        ];
        for (error, exit) in cases {
            assert_eq!(failure(&error).exit(), exit, "{error:?}");
        }
    }
}
