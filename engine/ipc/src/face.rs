//! What all primitives offer alike: how a process comes by one, and what it shares with all channels.

/// Implements it for a primitive that has a `channel: Arc<Channel>`, `RULES`, and an `over(Arc<Channel>)`, which refuses a
/// channel too small for the kind.
macro_rules! face {
    ($primitive:ident) => {
        impl $primitive {
            /// Opens one that is there.
            pub fn open(path: &std::path::Path) -> Result<Self, $crate::Error> {
                Self::over($crate::channel::Channel::open(path, &RULES)?)
            }

            /// Maps one whose descriptor was inherited or passed.
            pub fn from_fd(fd: std::os::fd::OwnedFd) -> Result<Self, $crate::Error> {
                Self::attach($crate::channel::Attachment::of(fd))
            }

            /// Maps one that was handed over.
            pub fn attach(attachment: $crate::channel::Attachment) -> Result<Self, $crate::Error> {
                Self::over($crate::channel::Channel::attach_as(attachment, &RULES)?)
            }

            /// What it shares with all channels.
            pub fn channel(&self) -> &std::sync::Arc<$crate::channel::Channel> {
                &self.channel
            }

            /// Its descriptor, to be inherited or passed.
            pub fn descriptor(&self) -> std::os::fd::BorrowedFd<'_> {
                self.channel.descriptor()
            }

            /// Who uses it.
            pub fn clients(&self) -> Vec<$crate::channel::Client> {
                self.channel.clients()
            }
        }
    };
}

pub(crate) use face;
