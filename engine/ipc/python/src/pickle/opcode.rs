//! The opcodes of Python's `pickletools` that are written and read here.

pub const PROTO: u8 = 0x80;
pub const STOP: u8 = b'.';
pub const NONE: u8 = b'N';
pub const TRUE: u8 = 0x88;
pub const FALSE: u8 = 0x89;
pub const INT1: u8 = b'K';
pub const INT2: u8 = b'M';
pub const INT4: u8 = b'J';
/// Its length in a byte, then so many bytes of two's complement.
pub const LONG1: u8 = 0x8a;
pub const FLOAT: u8 = b'G';
pub const BYTES1: u8 = b'C';
pub const BYTES4: u8 = b'B';
pub const BYTES8: u8 = 0x8e;
pub const TEXT1: u8 = 0x8c;
pub const TEXT4: u8 = b'X';
pub const MARK: u8 = b'(';
pub const EMPTY_TUPLE: u8 = b')';
/// All since the mark.
pub const TUPLE: u8 = b't';
pub const TUPLE1: u8 = 0x85;
pub const TUPLE2: u8 = 0x86;
pub const TUPLE3: u8 = 0x87;
pub const EMPTY_LIST: u8 = b']';
/// All since the mark, to the list before it.
pub const APPENDS: u8 = b'e';
pub const EMPTY_DICT: u8 = b'}';
/// All pairs since the mark, to the dict before it.
pub const SETITEMS: u8 = b'u';

/// How a pickle of protocol 4 begins.
pub const HEAD: [u8; 2] = [PROTO, 4];
