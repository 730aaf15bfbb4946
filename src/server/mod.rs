//! The composition root: builds every part of a member, and stops them in order.
