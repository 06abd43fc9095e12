//! All situations, in the order of the table.

mod bodies;
mod gateways;
mod idle;
mod loads;
mod names;
mod only;
mod partial;
mod python;
mod restarts;

use super::situation::Situation;

pub(crate) fn all() -> Vec<Situation> {
    let groups = [
        idle::all(),
        partial::all(),
        bodies::all(),
        restarts::all(),
        python::all(),
        only::all(),
        names::all(),
        loads::all(),
        gateways::all(),
    ];
    groups.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prevent::situation::Servers;

    #[test]
    fn names_are_unique_and_fit_the_command_line() {
        let mut names: Vec<&str> = all().iter().map(|it| it.name).collect();
        assert!(names.iter().all(|it| {
            it.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_')
        }));
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn scripts_are_in_order_and_end_before_their_load() {
        for it in all() {
            assert!(it.script.is_sorted_by_key(|it| it.0), "{}", it.name);
            let last = it.load.schedule(1, 1.0).last().map(|it| it.due);
            let step = it.script.last().map(|it| it.0);
            assert!(step <= last, "{}", it.name);
        }
    }

    #[test]
    fn there_is_always_a_target() {
        for it in all() {
            let (Servers::Own { count, .. }
            | Servers::Named { count, .. }
            | Servers::Python { count, .. }
            | Servers::Http2 { count, .. }) = it.servers;
            assert!(count > 0, "{}", it.name);
        }
    }
}
