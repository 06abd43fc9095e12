//! Reading a stream of HTTP/3 never depends on how it is cut, and lets no head through that HTTP/1
//! cannot say.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proxy::fuzzing::http3(data));
