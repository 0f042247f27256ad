//! The rules of the rehearsal cloud, one test each.
