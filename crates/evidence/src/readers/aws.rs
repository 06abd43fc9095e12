//! Amazon Web Services: load balancers, API Gateway, Lambda, ECS.

mod balancer;
mod ecs;
mod gateway;
mod lambda;

pub(super) use balancer::{ALB, CLASSIC, FIELDS, HEALTH};
pub(super) use ecs::EVENTS;
pub(super) use gateway::{ACCESS as GATEWAY_ACCESS, EXECUTION};
pub(super) use lambda::{ANSWER as LAMBDA_ANSWER, LOG as LAMBDA};
