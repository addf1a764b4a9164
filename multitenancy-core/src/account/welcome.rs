use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;

use crate::{
    bus::{Delivery, EventHandler, Subscription},
    error::Result,
    id::{EventId, UserId},
    mail::{Mailer, Message},
    store::Store,
    user::User,
};

/// Sends a welcome to whoever has registered: a subscriber of `user.created`.
///
/// A mail that was sent is recorded in the plane it was sent for, so a redelivery sends no second one. A crash
/// between sending and recording sends it again under the same key, the event's id, which the provider dedupes.
pub struct Welcome {
    store: Arc<dyn Store>,
    mailer: Arc<dyn Mailer>,
}

/// The part of `user.created` that a welcome needs.
#[derive(Deserialize)]
struct Created {
    user_id: UserId,
    platform_user_id: Option<UserId>,
}

impl Welcome {
    /// The subscriber's name.
    pub const NAME: &'static str = "welcome-mail";

    /// The subscription to add to a bus.
    pub fn subscription(store: Arc<dyn Store>, mailer: Arc<dyn Mailer>) -> Result<Subscription> {
        Subscription::new(Self::NAME, "user.created", Self { store, mailer })
    }
}

#[async_trait]
impl EventHandler for Welcome {
    async fn handle(&self, delivery: Arc<Delivery>) -> Result<()> {
        let created: Created = delivery.payload()?;
        // A user made for somebody of the platform has been welcomed there.
        if created.platform_user_id.is_some() {
            return Ok(());
        }
        let context = delivery.context();
        let event_id = delivery.event().event_id;
        let mut unit = context.read(&self.store).await?;
        if unit.consumed().contains(Self::NAME, event_id).await? {
            return Ok(());
        }
        let Some(user) = unit.users().find(created.user_id).await? else {
            return Ok(());
        };
        // No unit is held while the provider answers.
        drop(unit);
        self.mailer.send(&message(user, event_id)?).await?;
        let mut unit = context.begin(&self.store).await?;
        unit.consumed().record(Self::NAME, event_id).await?;
        unit.commit().await
    }
}

/// The same text whenever it is made, so that a second one under the same key is the same message. It holds nothing that
/// a user or a tenant has written: the address is not proven, and anybody can name a tenant.
fn message(user: User, event_id: EventId) -> Result<Message> {
    let text = "Hello,\n\nyour account is ready: you can sign in with this address.\n";
    Message::new(user.email, "Welcome", text, event_id.to_string())
}
