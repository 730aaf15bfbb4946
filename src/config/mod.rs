//! What a member is told when it starts: etcd's flags and variables, checked before anything runs.
