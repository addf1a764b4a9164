//! A delivery carries a tenant's context, so the relay alone makes one.

use multitenancy_core::{Context, bus::Delivery, event::Envelope};

fn forged(event: Envelope, context: Context) -> Delivery {
    Delivery::new(event, context)
}

fn on_another_plane(event: &Envelope, context: &Context) -> multitenancy_core::Result<Context> {
    context.delivered(event)
}

fn main() {}
