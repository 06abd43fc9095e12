//! Which route takes a request.

use crate::path::{PathFault, PathRules, normal_path};
use crate::typed::{PathMatch, Route};
use std::borrow::Cow;
use std::sync::Arc;

/// All routes, in the order in which they are tried: host (exact, then any), path (exact, then the
/// longest prefix), then those that name methods before those that do not.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    all: Vec<Arc<Route>>,
}

/// What the table says of a request.
#[derive(Debug)]
pub enum Choice<'a> {
    Route {
        route: &'a Arc<Route>,
        /// In the route's normal form.
        path: Cow<'a, str>,
    },
    /// Host and path match routes, the method none of them; these methods would.
    MethodNotAllowed(Vec<Arc<str>>),
    NoRoute,
    Path(PathFault),
}
