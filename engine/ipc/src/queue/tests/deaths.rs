//! A user of the queue is killed before each of the steps of each operation.
