//! What a broken or hostile node of the job can do to the machines of the others: nothing that panics, nothing without a
//! bound.

mod regressions;
