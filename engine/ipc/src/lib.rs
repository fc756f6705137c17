//! The yard: queues, locks, semaphores and events between the processes of a run.
