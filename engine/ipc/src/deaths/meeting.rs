//! Barriers and conditions.
