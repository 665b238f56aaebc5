//! Orders, their queue, and the threads that decode and paint them.

pub(crate) mod encode;
pub(crate) mod order;
pub(crate) mod painter;
pub(crate) mod queue;
pub(crate) mod scheduler;
