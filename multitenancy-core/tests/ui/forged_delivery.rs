//! A delivery carries a tenant's context, so the relay alone makes one.

use multitenancy_core::{TenantContext, bus::Delivery, event::Envelope};

fn forged(event: Envelope, context: TenantContext) -> Delivery {
    Delivery::tenant(event, context)
}

fn on_the_platform(event: Envelope) -> Delivery {
    Delivery::control(event)
}

fn main() {}
