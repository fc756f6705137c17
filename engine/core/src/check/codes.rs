//! The codes of what can be wrong with the structure of a workflow.

use crate::diagnostic::Code;
pub use crate::spec::target::{UNKNOWN_REFERENCE, WRONG_KIND};

macro_rules! define_codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $title:literal;)*) => {
        $($(#[$doc])* pub const $name: Code = Code($number);)*

        /// Each code with its title, in the order of the numbers.
        pub const TITLES: &[(Code, &str)] = &[
            (UNKNOWN_REFERENCE, "a reference to something that does not exist"),
            (WRONG_KIND, "a reference to something of the wrong kind"),
            $(($name, $title)),*
        ];
    };
}

define_codes! {
    /// The same name twice in one list.
    REPEATED_REFERENCE = 203, "the same reference twice in one list";
    /// Two processes write one file at the same time.
    FILE_WRITTEN_AT_ONCE = 204, "a file that several write at the same time";
    /// A file is read by a process that does not wait for who writes it.
    FILE_READ_TOO_EARLY = 205, "a file that is read before it is written";
    /// Processes that wait for each other.
    CYCLE = 210, "a cycle in `after`";
    /// A process that waits for itself.
    WAITS_FOR_ITSELF = 211, "a process waits for itself";
    /// A condition that things of this kind do not have.
    CONDITION_OF_OTHER_KIND = 212, "a condition that does not fit what it is asked of";
    /// A condition that will never hold.
    CONDITION_NEVER_COMES = 213, "a condition that cannot come";
    /// One end of a pipe waits until the process at the other has ended.
    WAITS_FOR_PEER = 214, "a pipe whose one end starts only after the other has ended";
    /// The start of a process needs a success and a failure of the same.
    CONDITIONS_EXCLUDE = 215, "conditions that exclude each other";
    /// A process waits for the end of one that serves.
    WAITS_FOR_SERVICE = 216, "a wait for the end of a service";
    /// A queue is emptied only after somebody has waited for that.
    DRAINED_BY_ITS_WAITER = 217, "a queue that is emptied only after its drain was waited for";
    /// A pipe into which nothing writes.
    PIPE_WITHOUT_WRITER = 220, "a pipe without a writer";
    /// A pipe that nothing reads.
    PIPE_WITHOUT_READER = 221, "a pipe without a reader";
    /// Several processes at one end of a pipe.
    PIPE_END_TAKEN_TWICE = 222, "several processes at one end of a pipe";
    /// Instances of one process share an end of a pipe.
    PIPE_END_SHARED = 223, "instances share an end of a pipe";
    /// One process at both ends of a pipe.
    PIPE_TO_ITSELF = 224, "both ends of a pipe in one process";
    /// An end of a duplex pipe that nobody takes.
    DUPLEX_END_OPEN = 225, "an end of a duplex pipe is not taken";
    /// A queue into which nothing is put.
    QUEUE_WITHOUT_SENDER = 230, "a queue without a sender";
    /// A queue from which nothing is taken.
    QUEUE_WITHOUT_RECEIVER = 231, "a queue without a receiver";
    /// A queue is filled before anybody empties it.
    RECEIVER_COMES_LATE = 232, "a bounded queue whose receivers start only after its sender has ended";
    /// A process reads what only it writes.
    READS_ITS_OWN = 233, "a process reads the queue that only it fills";
    /// A queue is read before anybody can fill it.
    SENDER_COMES_LATE = 234, "a queue whose senders start only after its reader has ended";
    /// An event that is waited for but never set.
    EVENT_NEVER_SET = 240, "an event that is waited for is never set";
    /// An event that nobody waits for.
    EVENT_NEVER_WAITED_FOR = 241, "an event is set and never waited for";
    /// An event is set only by those who start after whoever waits for it.
    EVENT_SET_DOWNSTREAM = 242, "an event is set only after its waiter";
    /// An event is set only after a process that waits for it itself has ended.
    EVENT_SET_TOO_LATE = 243, "an event is set only after the end of its waiter";
    /// More permits asked for than there are.
    TOO_MANY_PERMITS = 250, "more permits than there are";
    /// A lock acquired by its owner.
    LOCK_HELD_TWICE = 251, "a lock acquired while it is held";
    /// Processes that must run together hold more than there is.
    TOO_FEW_FOR_ALL = 252, "processes that must run together hold more than there is";
    /// A process placed in a pool that has workers.
    POOL_WITHOUT_SLOTS = 260, "a process placed in a pool that runs tasks";
    /// Persistent workers whose answers lead nowhere.
    ANSWERS_LOST = 261, "answers of persistent workers are not read";
    /// Processes that must run together take more slots than there are.
    TOO_FEW_SLOTS = 262, "fewer slots than processes that must run together";
    /// A pool whose tasks come from a queue that its own end would close.
    POOL_FEEDS_ITSELF = 263, "a pool feeds itself";
    /// A declaration that nothing uses.
    UNUSED = 270, "a declaration is not used";
    /// A workflow without anything to run.
    NOTHING_TO_RUN = 271, "nothing to run";
    /// A workflow in which nothing keeps the run going.
    ONLY_DAEMONS = 272, "every process is a daemon";
    /// A daemon that is stopped before it has taken what is sent to it.
    DAEMON_NOT_KEPT = 273, "a daemon that nothing keeps until it has taken all";
}
