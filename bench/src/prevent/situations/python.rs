//! Real servers for Python, two instances of each.

use crate::prevent::apps::Python;
use crate::prevent::schedule::Load;
use crate::prevent::situation::{At, Reach, Servers, Situation, Step, at};

const COUNT: usize = 2;

pub(super) fn all() -> Vec<Situation> {
    vec![
        python(
            "gunicorn_term",
            "rolling restart of two Gunicorns (4 workers of gthread), SIGTERM, started 1 s later",
            Python::Gunicorn,
            rolling(),
            1.0,
        ),
        python(
            "gunicorn_hup",
            "two Gunicorns replace their workers, SIGHUP, one after the other",
            Python::Gunicorn,
            vec![at(2.0, Step::HangUp(0)), at(5.0, Step::HangUp(1))],
            1.0,
        ),
        python(
            "gunicorn_worker_killed",
            "a worker of Gunicorn is killed by SIGKILL, three times",
            Python::Gunicorn,
            vec![
                at(2.0, Step::KillWorker(0)),
                at(4.0, Step::KillWorker(1)),
                at(6.0, Step::KillWorker(0)),
            ],
            2.0,
        ),
        python(
            "uvicorn_term",
            "rolling restart of two Uvicorns, SIGTERM, started 1 s later",
            Python::Uvicorn,
            rolling(),
            1.0,
        ),
    ]
}

fn rolling() -> Vec<At> {
    vec![
        at(2.0, Step::Terminate(0)),
        at(3.0, Step::Start(0)),
        at(6.0, Step::Terminate(1)),
        at(7.0, Step::Start(1)),
    ]
}

fn python(
    name: &'static str,
    title: &'static str,
    python: Python,
    script: Vec<At>,
    failed: f64,
) -> Situation {
    let servers = Servers::Python { python, count: COUNT };
    Situation {
        name,
        title,
        servers,
        load: Load::steady(9.0),
        script,
        reach: Reach::failed(failed),
    }
}
