//! Users, as the system's databases have them.

use std::ffi::CString;

use nix::errno::Errno;
use nix::unistd::{Gid, Uid, User, geteuid, getgrouplist};

/// A user, by number. Only root may become somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub uid: libc::uid_t,
    /// The user's main group.
    pub gid: libc::gid_t,
    /// All groups of the user.
    pub groups: Vec<libc::gid_t>,
}

impl Identity {
    /// Finds a user by name or number, with all groups. A number that belongs to nobody is taken with the group of
    /// the same number alone. Asks the system's databases, which may be slow: call it before anything runs.
    ///
    /// # Errors
    /// With words for the user, when there is no such user or the databases cannot be read.
    pub fn of_user(user: &str) -> Result<Self, UnknownUser> {
        let unknown = |errno| UnknownUser {
            user: user.to_owned(),
            errno,
        };
        let number = user.parse::<libc::uid_t>().ok();
        let found = match number {
            Some(number) => User::from_uid(Uid::from_raw(number)),
            None => User::from_name(user),
        };
        match (found.map_err(unknown)?, number) {
            (Some(entry), _) => Self::of_entry(&entry).map_err(unknown),
            (None, Some(number)) => Ok(Self {
                uid: number,
                gid: number,
                groups: vec![number],
            }),
            (None, None) => Err(unknown(Errno::ENOENT)),
        }
    }

    fn of_entry(entry: &User) -> Result<Self, Errno> {
        let name = CString::new(entry.name.as_str()).map_err(|_| Errno::EINVAL)?;
        let groups = getgrouplist(&name, entry.gid)?;
        Ok(Self {
            uid: entry.uid.as_raw(),
            gid: entry.gid.as_raw(),
            groups: groups.into_iter().map(Gid::as_raw).collect(),
        })
    }

    /// Whether the engine is this user already, and could become nobody else: then there is nothing to change.
    pub(super) fn is_engines_own(&self) -> bool {
        let engine = geteuid();
        !engine.is_root() && engine.as_raw() == self.uid
    }
}

/// There is no such user here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownUser {
    /// As written.
    pub user: String,
    /// ENOENT, or why the databases could not be read.
    pub errno: Errno,
}

impl std::fmt::Display for UnknownUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.errno {
            Errno::ENOENT => write!(f, "this machine has no user `{}`", self.user),
            errno => write!(f, "user `{}` cannot be looked up: {}", self.user, errno.desc()),
        }
    }
}

impl std::error::Error for UnknownUser {}
