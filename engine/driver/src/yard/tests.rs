//! The yard by example, and against a naive model.

mod examples;
mod histories;
mod model;
mod world;
