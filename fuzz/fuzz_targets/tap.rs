//! Reading an upstream's answer, head and body, never panics and never reads past its end.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proxy::fuzzing::tap(data));
