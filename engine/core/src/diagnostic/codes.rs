//! The codes of all that can be found in a workflow: the one list that the rules, the pages and the reports share.

use super::{Code, Rule, Severity};

macro_rules! define_codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $severity:ident, $title:literal;)*) => {
        $($(#[$doc])* pub const $name: Code = Code($number);)*

        /// Every code there is, in the order of the numbers.
        pub(super) const ALL: &[Rule] = &[$(Rule {
            code: $name,
            severity: Severity::$severity,
            title: $title,
        }),*];
    };
}

define_codes! {
    // The file: 0 to 99.

    /// A file could not be read at all.
    UNREADABLE = 1, Error, "a file cannot be read";
    /// The file, or what it expands to, is larger than any workflow needs to be.
    TOO_LARGE = 2, Error, "a file is too large";
    /// The bytes are not UTF-8.
    NOT_UTF8 = 3, Error, "a file is not UTF-8";
    /// NUL bytes and other characters that YAML does not allow.
    FORBIDDEN_CHARACTER = 4, Error, "a character that YAML does not allow";
    /// Nothing is in the file.
    EMPTY = 5, Error, "a file is empty";
    /// The file breaks a rule of YAML.
    NOT_YAML = 6, Error, "a file is not YAML";
    /// Tabs cannot indent.
    TAB = 7, Error, "a tab used as indentation";
    /// More than one document in a file.
    SEVERAL_DOCUMENTS = 8, Error, "several documents in one file";
    /// Nested more deeply than any workflow needs to be.
    TOO_DEEP = 9, Error, "nested too deeply";
    /// The same key twice in one map.
    DUPLICATE_KEY = 10, Error, "a key occurs twice";
    /// A key that is no text.
    KEY_NOT_TEXT = 11, Error, "a key that is no text";
    /// A YAML tag.
    TAG = 12, Error, "a YAML tag";
    /// An alias that contains itself, too many aliases, or a merge of something that is no map.
    ALIAS = 13, Error, "an alias or merge that cannot be followed";

    // The language: 100 to 199.

    /// `forkyard` is missing, or asks for another version of the language.
    VERSION = 101, Error, "the version of the language";
    /// A key that the language does not have.
    UNKNOWN_KEY = 102, Error, "an unknown key";
    /// A value of another kind than is wanted, or outside its bounds.
    BAD_VALUE = 103, Error, "a value that does not fit";
    /// Nothing where a value is needed.
    MISSING_VALUE = 104, Error, "a key without its value";
    /// A key that cannot be left out.
    MISSING_KEY = 105, Error, "a key is missing";
    /// A key that belongs to something else.
    MISPLACED_KEY = 106, Error, "a key that has no place here";
    /// Keys that exclude each other.
    CONFLICT = 107, Error, "keys that exclude each other";
    /// A name that is not allowed.
    BAD_NAME = 108, Error, "a name that is not allowed";
    /// A name that is used twice.
    NAME_TWICE = 109, Error, "a name is used twice";
    /// An expression that is not well formed.
    EXPRESSION_SYNTAX = 110, Error, "an expression that is not well formed";
    /// An expression that mentions something undefined.
    UNDEFINED = 111, Error, "an undefined name in an expression";
    /// An expression that cannot be evaluated.
    EXPRESSION_FAILED = 112, Error, "an expression that cannot be evaluated";
    /// A param that nobody declares.
    UNKNOWN_PARAM = 113, Error, "an unknown param";
    /// A param that is given a value of another type than its default.
    PARAM_TYPE = 114, Error, "a param of the wrong type";
    /// A template that does not exist.
    UNKNOWN_TEMPLATE = 115, Error, "an unknown template";
    /// A template's param that is missing.
    TEMPLATE_PARAM = 116, Error, "a param of a template is missing";
    /// An include that cannot be followed.
    INCLUDE = 117, Error, "an include that cannot be followed";
    /// A line of an `env_file`.
    ENV_FILE = 118, Error, "an env_file that cannot be used";
    /// More instances than an engine can have.
    TOO_MANY_INSTANCES = 119, Error, "too many processes";
    /// A stream that does not fit its direction.
    STREAM = 120, Error, "a stream that leads nowhere";
    /// A comment that silences a code which does not exist.
    UNKNOWN_ALLOWED = 130, Warning, "an `allow` of an unknown code";
    /// A comment that silences a code of which nothing is found there.
    UNUSED_ALLOW = 131, Warning, "an `allow` that silences nothing";
    /// A comment that is to silence what no workflow can run with.
    ALLOW_OF_ERROR = 132, Warning, "an `allow` of what cannot be allowed";
    /// A comment that speaks to Forkyard and is not understood.
    BAD_REMARK = 133, Warning, "a `# forkyard:` comment that is not understood";
    /// A process that two groups would restart.
    IN_TWO_GROUPS = 140, Error, "a process in two groups";
    /// A member of a group that is never restarted.
    MEMBER_WITH_ONE_LIFE = 141, Warning, "a member of a group that is never restarted";
    /// A process that is to outlive its engine has something that does not.
    CANNOT_BE_KEPT = 142, Error, "a process that cannot outlive its engine";

    // The graph: 200 to 299.

    /// A name that nothing has.
    UNKNOWN_REFERENCE = 201, Error, "a name that is not declared";
    /// A name of something that does not fit there.
    WRONG_KIND = 202, Error, "a name of the wrong kind";
    /// The same name twice in one list.
    REPEATED_REFERENCE = 203, Warning, "the same reference twice in one list";
    /// Two processes write one file at the same time.
    FILE_WRITTEN_AT_ONCE = 204, Warning, "a file that several write at the same time";
    /// A file is read by a process that does not wait for who writes it.
    FILE_READ_TOO_EARLY = 205, Warning, "a file that is read before it is written";
    /// Two processes are to listen at the same address.
    ADDRESS_TWICE = 206, Error, "an address at which several are to listen";
    /// Whether a process works is asked at a socket that the engine has opened for it.
    ANSWERED_BY_THE_KERNEL = 207, Warning, "a look that the kernel answers";
    /// Processes that wait for each other.
    CYCLE = 210, Error, "a cycle in `after`";
    /// A process that waits for itself.
    WAITS_FOR_ITSELF = 211, Error, "a process waits for itself";
    /// A condition that things of this kind do not have.
    CONDITION_OF_OTHER_KIND = 212, Error, "a condition that does not fit what it is asked of";
    /// A condition that will never hold.
    CONDITION_NEVER_COMES = 213, Error, "a condition that cannot come";
    /// One end of a pipe waits until the process at the other has ended.
    WAITS_FOR_PEER = 214, Warning, "a pipe whose one end starts only after the other has ended";
    /// The start of a process needs a success and a failure of the same.
    CONDITIONS_EXCLUDE = 215, Error, "conditions that exclude each other";
    /// A process waits for the end of one that serves.
    WAITS_FOR_SERVICE = 216, Warning, "a wait for the end of a daemon";
    /// A queue is emptied only after somebody has waited for that.
    DRAINED_BY_ITS_WAITER = 217, Error, "a queue that is emptied only after its drain was waited for";
    /// A pipe into which nothing writes.
    PIPE_WITHOUT_WRITER = 220, Error, "a pipe without a writer";
    /// A pipe that nothing reads.
    PIPE_WITHOUT_READER = 221, Error, "a pipe without a reader";
    /// Several processes at one end of a pipe.
    PIPE_END_TAKEN_TWICE = 222, Error, "several processes at one end of a pipe";
    /// Instances of one process share an end of a pipe.
    PIPE_END_SHARED = 223, Warning, "instances share an end of a pipe";
    /// One process at both ends of a pipe.
    PIPE_TO_ITSELF = 224, Warning, "both ends of a pipe in one process";
    /// An end of a duplex pipe that nobody takes.
    DUPLEX_END_OPEN = 225, Error, "an end of a duplex pipe is not taken";
    /// A queue into which nothing is put.
    QUEUE_WITHOUT_SENDER = 230, Error, "a queue without a sender";
    /// A queue from which nothing is taken.
    QUEUE_WITHOUT_RECEIVER = 231, Error, "a queue without a receiver";
    /// A queue is filled before anybody empties it.
    RECEIVER_COMES_LATE = 232, Warning, "a bounded queue whose receivers start only after its sender has ended";
    /// A process reads what only it writes.
    READS_ITS_OWN = 233, Warning, "a process reads the queue that only it fills";
    /// A queue is read before anybody can fill it.
    SENDER_COMES_LATE = 234, Warning, "a queue whose senders start only after its reader has ended";
    /// What a process had read is lost when it is restarted.
    LOST_AT_RESTART = 235, Warning, "items are lost at a restart";
    /// An event that is waited for but never set.
    EVENT_NEVER_SET = 240, Error, "an event that is waited for is never set";
    /// An event that nobody waits for.
    EVENT_NEVER_WAITED_FOR = 241, Warning, "an event is set and never waited for";
    /// An event is set only by those who start after whoever waits for it.
    EVENT_SET_DOWNSTREAM = 242, Error, "an event is set only after its waiter";
    /// An event is set only after a process that waits for it itself has ended.
    EVENT_SET_TOO_LATE = 243, Warning, "an event is set only after the end of its waiter";
    /// More permits asked for than there are.
    TOO_MANY_PERMITS = 250, Error, "more permits than there are";
    /// A lock acquired by its owner.
    LOCK_HELD_TWICE = 251, Error, "a lock acquired while it is held";
    /// Processes that must run together hold more than there is.
    TOO_FEW_FOR_ALL = 252, Error, "processes that must run together hold more than there is";
    /// A process placed in a pool that has workers.
    POOL_WITHOUT_SLOTS = 260, Error, "a process placed in a pool that runs tasks";
    /// Persistent workers whose answers lead nowhere.
    ANSWERS_LOST = 261, Error, "answers of persistent workers are not read";
    /// Processes that must run together take more slots than there are.
    TOO_FEW_SLOTS = 262, Error, "fewer slots than processes that must run together";
    /// A pool whose tasks come from a queue that its own end would close.
    POOL_FEEDS_ITSELF = 263, Error, "a pool feeds itself";
    /// A declaration that nothing uses.
    UNUSED = 270, Warning, "a declaration is not used";
    /// A workflow without anything to run.
    NOTHING_TO_RUN = 271, Warning, "nothing to run";
    /// A workflow in which nothing keeps the run going.
    ONLY_DAEMONS = 272, Warning, "every process is a daemon";
    /// A daemon that is stopped before it has taken what is sent to it.
    DAEMON_NOT_KEPT = 273, Warning, "a daemon that nothing keeps until it has taken all";
    /// The attempts at a task may take longer than the run has.
    RETRIES_BEYOND_THE_RUN = 274, Warning, "retries of a task that outlast the run";
    /// A time-out that the one of the run forestalls.
    TIMEOUT_BEYOND_THE_RUN = 275, Warning, "a time-out that outlasts the run";
    /// A secret is written out in the file.
    SECRET_IN_CLEAR = 276, Warning, "a secret in clear";
    /// Text from outside the file becomes part of a script.
    UNQUOTED = 277, Warning, "text from outside in a script, unquoted";
    /// Locks that are taken in different orders.
    LOCK_ORDER = 280, Error, "locks taken in different orders";
    /// Something is held by one who waits for the next of a ring.
    HOLD_AND_WAIT = 281, Error, "something is held while waiting, in a ring";
    /// Queues or pipes that wait for each other.
    QUEUE_CYCLE = 282, Warning, "queues or pipes that wait for each other";
    /// One end of a channel starts only after the other, which cannot end without it.
    LATE_PEER = 283, Error, "a sender and a receiver of which one waits for the other's end";
    /// Events and starts that wait for each other.
    EVENT_RING = 284, Error, "events and starts that wait for each other";
    /// Any other ring.
    OTHER_DEADLOCK = 285, Error, "processes that wait for each other";
    /// A step of a `protocol` that is none.
    PROTOCOL_STEP = 286, Error, "a step of a protocol that is none";
    /// A step of a `protocol` with something that the process does not touch.
    PROTOCOL_UNDECLARED = 287, Error, "a step of a protocol with what is not declared";
    /// A step of a `protocol` that lets go of what is not held, or keeps it over a round.
    PROTOCOL_NOT_HELD = 288, Error, "a protocol that releases what it does not hold";
    /// Something declared that the `protocol` does not do.
    PROTOCOL_INCOMPLETE = 289, Warning, "a declaration that the protocol leaves out";
    /// Something that a daemon has as long as it runs is needed by others.
    KEPT_BY_DAEMON = 290, Warning, "a daemon keeps what others need";

    // The machine it is to run on: 300 to 399.

    /// A key that is understood, but whose behaviour is not built yet.
    NOT_BUILT = 300, Error, "a key whose behaviour is not built yet";
    /// A program is not there.
    NO_PROGRAM = 301, Error, "a program is not there";
    /// A program cannot be executed.
    NOT_EXECUTABLE = 302, Error, "a program is not executable";
    /// A program is a directory.
    PROGRAM_IS_DIRECTORY = 303, Error, "a program is a directory";
    /// What a script names in its first line is not there.
    NO_INTERPRETER = 304, Error, "the interpreter of a script is not there";
    /// A working directory is missing, or is none.
    NO_DIRECTORY = 305, Error, "a working directory is missing";
    /// A user is unknown.
    NO_USER = 306, Error, "a user is unknown";
    /// Only root can become another user.
    NOT_ROOT = 307, Error, "only root can become another user";
    /// A file to be read is missing, or cannot be read.
    NO_FILE = 308, Error, "a file to be read is missing";
    /// A file that an interpreter is to execute is not there.
    NO_SCRIPT = 309, Error, "a script is not there";
    /// There may not be so many processes, or so many descriptors of the engine, at once.
    TOO_MUCH_AT_ONCE = 310, Warning, "more at once than the machine allows";
    /// A socket cannot be opened.
    CANNOT_LISTEN = 311, Error, "an address at which nobody can listen";
    /// A limit cannot be kept.
    LIMIT_NOT_KEPT = 330, Error, "a limit that cannot be kept";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_and_so_are_unique() {
        assert!(ALL.windows(2).all(|pair| pair[0].code < pair[1].code));
    }

    #[test]
    fn titles_are_a_few_words_without_a_full_stop() {
        for Rule { code, title, .. } in ALL {
            assert!(
                (5..=80).contains(&title.len()) && !title.ends_with('.'),
                "{code}: {title}"
            );
        }
    }
}
