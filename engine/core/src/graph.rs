//! The typed graph of a workflow: nodes are declared things, edges are touches.
