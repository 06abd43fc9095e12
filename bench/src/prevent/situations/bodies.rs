//! Answers that look well at first.

use super::partial::faulty;
use crate::prevent::situation::{Reach, Situation};
use crate::prevent::target::{Fault, Health, Manner};

pub(super) fn all() -> Vec<Situation> {
    vec![faulty(
        "one_cuts",
        "one of three cuts its bodies, 4 s; its health is whole",
        Manner::GOOD.with(Fault::Cut, Health::Well),
        Reach::failed(5.0),
    )]
}
