use std::os::unix::fs::FileExt;

use super::*;
use crate::trial::again;

#[test]
fn what_is_stored_anywhere_is_loaded_there_by_others_and_nothing_else_changes() {
    const LENGTH: usize = 40;
    let cells = Cells::create(&Place::Memory, LENGTH as u64).expect("there is memory");
    let other = Cells::from_fd(again(cells.descriptor())).expect("it is whole");
    let mut model = [0; LENGTH];
    let mut value = 0_u8;
    for from in 0..LENGTH {
        for to in from..=LENGTH {
            value = value.wrapping_add(1);
            model[from..to].fill(value);
            cells.store(from as u64, &model[from..to]).expect("there is room");
            let mut found = [0; LENGTH];
            other.load(0, &mut found).expect("they are there");
            assert_eq!(found, model);
            other.load(from as u64, &mut found[from..to]).expect("they are there");
            assert_eq!(found, model);
        }
    }
    let file = std::fs::File::from(again(cells.descriptor()));
    let mut found = [0; LENGTH];
    file.read_exact_at(&mut found, cells.body_offset())
        .expect("they are there");
    assert_eq!(found, model);
}

#[test]
fn what_is_outside_is_refused() {
    let cells = Cells::create(&Place::Memory, 10).expect("there is memory");
    for (offset, count) in [(0, 11), (10, 1), (u64::MAX, 1)] {
        assert!(matches!(cells.store(offset, &vec![1; count]), Err(Error::Nonsense(_))));
        assert!(matches!(
            cells.load(offset, &mut vec![1; count]),
            Err(Error::Nonsense(_))
        ));
    }
    cells.store(10, &[]).expect("nothing fits anywhere");
    let mut found = [1; 10];
    cells.load(0, &mut found).expect("they are there");
    assert_eq!(found, [0; 10]);
    assert!(matches!(
        Cells::create(&Place::Memory, u64::MAX),
        Err(Error::Nonsense(_))
    ));
    assert!(Cells::create(&Place::Memory, 0).expect("there is memory").is_empty());
}

#[test]
fn the_lock_is_reentrant_and_others_see_it() {
    let cells = Cells::create(&Place::Memory, 10).expect("there is memory");
    let other = Cells::from_fd(again(cells.descriptor())).expect("it is whole");
    let outer = cells.lock().acquire().expect("it is whole");
    let inner = cells.lock().acquire().expect("it is whole");
    assert!(other.lock().try_acquire().expect("it is whole").is_none());
    drop((inner, outer));
    assert!(other.lock().try_acquire().expect("it is whole").is_some());
}
