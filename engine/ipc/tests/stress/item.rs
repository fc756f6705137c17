//! Items that say who has put them, so that whoever gets one knows whether it is whole.

/// The lane, the number, the length.
const HEAD: usize = 20;

/// An item of that length at least, whose bytes follow from its name.
pub fn write(lane: usize, number: u64, length: usize) -> Vec<u8> {
    let length = length.max(HEAD);
    let mut bytes = Vec::with_capacity(length);
    bytes.extend(u32::try_from(lane).expect("few lanes").to_le_bytes());
    bytes.extend(number.to_le_bytes());
    bytes.extend((length as u64).to_le_bytes());
    bytes.resize(length, fill(number));
    bytes
}

/// Who has put it, and its number.
pub fn read(bytes: &[u8]) -> (usize, u64) {
    let field = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    let lane = u32::from_le_bytes(bytes[..4].try_into().expect("four bytes"));
    let (number, length) = (field(4), field(12));
    assert_eq!(length, bytes.len() as u64, "an item has the length it was put with");
    let fill = fill(number);
    assert!(bytes[HEAD..].iter().all(|byte| *byte == fill), "an item is whole");
    (lane as usize, number)
}

fn fill(number: u64) -> u8 {
    u8::try_from(number % 251).expect("it is below 251")
}
