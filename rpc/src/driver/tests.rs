//! Two drivers over the loopback interface.
