//! The kernels. Every sum runs in an order that the shape alone fixes: it depends on no other row
//! of the pass. Products are fused multiply-adds by name, so that no compiler chooses where to
//! round.

pub(crate) mod attention;
pub(crate) mod cache;
pub(crate) mod elementwise;
pub(crate) mod head_lists;
pub(crate) mod noise;
pub(crate) mod norm;
pub(crate) mod numbers;
pub(crate) mod place;
pub(crate) mod product;
pub(crate) mod ranking;
pub(crate) mod reduce;
pub(crate) mod vq;
