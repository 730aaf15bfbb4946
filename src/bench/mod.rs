//! `holdfast bench`: load on any etcd endpoint, with rates, percentiles and CPU cost.
