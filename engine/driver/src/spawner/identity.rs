//! Users, as the system's databases have them.

use std::ffi::CString;

use nix::errno::Errno;
use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid, getgrouplist};

use crate::words::reason;

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
    /// Who a process runs as whose workflow names a user, a group, or both; `None` when it names neither.
    ///
    /// # Errors
    /// As [`Identity::of_user`]; likewise for a group.
    pub fn of(user: Option<&str>, group: Option<&str>) -> Result<Option<Self>, UnknownUser> {
        let identity = match user {
            Some(user) => Some(Self::of_user(user)?),
            None => group.map(|_| Self {
                uid: geteuid().as_raw(),
                gid: getegid().as_raw(),
                groups: Vec::new(),
            }),
        };
        let Some(mut identity) = identity else { return Ok(None) };
        if let Some(group) = group {
            identity.gid = number_of_group(group)?;
            if !identity.groups.contains(&identity.gid) {
                identity.groups.push(identity.gid);
            }
        }
        Ok(Some(identity))
    }

    /// Finds a user by name or number, with all groups. A number that belongs to nobody is taken with the group of
    /// the same number alone. Asks the system's databases, which may be slow: call it before anything runs.
    ///
    /// # Errors
    /// With words for the user, when there is no such user or the databases cannot be read.
    pub fn of_user(user: &str) -> Result<Self, UnknownUser> {
        let unknown = |errno| UnknownUser {
            kind: "user",
            name: user.to_owned(),
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

fn number_of_group(group: &str) -> Result<libc::gid_t, UnknownUser> {
    let unknown = |errno| UnknownUser {
        kind: "group",
        name: group.to_owned(),
        errno,
    };
    if let Ok(number) = group.parse() {
        return Ok(number);
    }
    let found = Group::from_name(group).map_err(unknown)?;
    found
        .map(|group| group.gid.as_raw())
        .ok_or_else(|| unknown(Errno::ENOENT))
}

/// There is no such user, or group, here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownUser {
    /// `user` or `group`.
    pub kind: &'static str,
    /// As written.
    pub name: String,
    /// ENOENT, or why the databases could not be read.
    pub errno: Errno,
}

impl std::fmt::Display for UnknownUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.errno {
            Errno::ENOENT => write!(f, "this machine has no {} `{}`", self.kind, self.name),
            errno => write!(
                f,
                "{} `{}` cannot be looked up: {}",
                self.kind,
                self.name,
                reason(errno)
            ),
        }
    }
}

impl std::error::Error for UnknownUser {}
