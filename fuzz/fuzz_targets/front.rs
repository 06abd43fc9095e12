//! The strict front and hyper's server agree on where every message begins and ends.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proxy::fuzzing::front(data));
