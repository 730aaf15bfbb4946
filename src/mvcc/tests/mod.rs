//! Tests of the whole module against a plain model, and of its promises one by one.
