use std::sync::Arc;

use chrono::TimeDelta;
use futures_util::future::join_all;

use super::{Relay, backoff};
use crate::{
    access::Context,
    bus::Delivery,
    environment::Timestamp,
    error::{Error, Result, code},
    event::{Claim, ClaimedEvent, LeaseId},
    id::Plane,
    store::UnitOfWork,
    tenant::{ControlContext, TenantContext, TenantKey, TenantStatus},
};

const REASON: &str = "event relay";

/// What [`Relay::drain`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drained {
    /// Events delivered.
    pub delivered: usize,
    /// Events that failed and will be tried again.
    pub retried: usize,
    /// Events that failed for the last time and were put aside.
    pub parked: usize,
    /// When something left in the outbox may become due.
    pub next_due: Option<Timestamp>,
}

impl Relay {
    /// Delivers what is due in the outbox of `plane`, until nothing is.
    ///
    /// The events of a tenant that is not active wait until it is.
    pub async fn drain(&self, plane: Plane) -> Result<Drained> {
        let mut drained = Drained::default();
        while self.drain_batch(plane, &mut drained).await? {}
        Ok(drained)
    }

    /// Delivers one batch of what is due; `false` when nothing was.
    pub(super) async fn drain_batch(&self, plane: Plane, drained: &mut Drained) -> Result<bool> {
        let Some(context) = self.context(plane).await? else {
            return Ok(false);
        };
        match self.drain_context(context, drained).await {
            // Closed in the meantime: nothing is noted any more, and its events are told again if it is opened.
            Err(error) if error.is(code::TENANT_INACTIVE) => Ok(false),
            other => other,
        }
    }

    async fn drain_context(&self, context: Context, drained: &mut Drained) -> Result<bool> {
        let lease = LeaseId::generate(self.store.environment());
        let claim = self.claim(&context, lease).await?;
        drained.next_due = claim.next_due;
        if claim.events.is_empty() {
            return Ok(false);
        }
        let outcomes = join_all(claim.events.iter().map(|event| self.deliver(&context, event))).await;
        let mut unit = context.begin(&self.store).await?;
        let mut settled = drained.clone();
        for (event, outcome) in claim.events.iter().zip(outcomes) {
            self.settle(&mut *unit, lease, event, outcome, &mut settled).await?;
        }
        unit.commit().await?;
        *drained = settled;
        Ok(true)
    }

    async fn context(&self, plane: Plane) -> Result<Option<Context>> {
        let Plane::Tenant(id) = plane else {
            return Ok(Some(Context::Control(ControlContext::system(REASON))));
        };
        let mut unit = self.store.read_control(&ControlContext::system(REASON)).await?;
        let tenant = unit.tenants().find(&TenantKey::Id(id)).await?;
        let active = tenant.filter(|tenant| tenant.status == TenantStatus::Active);
        Ok(active.map(|tenant| Context::Tenant(TenantContext::internal(Arc::new(tenant), REASON))))
    }

    async fn claim(&self, context: &Context, lease: LeaseId) -> Result<Claim> {
        // Most looks find nothing: a read does not take its turn among those who write.
        let mut unit = context.read(&self.store).await?;
        if unit.outbox().pending().await? == 0 {
            return Ok(Claim { events: Vec::new(), next_due: None });
        }
        drop(unit);
        let now = self.store.environment().now();
        let until = now + TimeDelta::from_std(self.config.lease).map_err(Error::internal)?;
        let mut unit = context.begin(&self.store).await?;
        let claim = unit.outbox().claim(lease, now, until, self.config.batch).await?;
        unit.commit().await?;
        Ok(claim)
    }

    async fn deliver(&self, context: &Context, claimed: &ClaimedEvent) -> Result<()> {
        let event = claimed.envelope.clone();
        let context = context.delivered(&event)?;
        let delivery = Delivery::new(event, context);
        tokio::time::timeout(self.config.timeout, self.bus.publish(Arc::new(delivery)))
            .await
            .unwrap_or_else(|elapsed| Err(Error::internal(elapsed)))
    }

    async fn settle(
        &self,
        unit: &mut dyn UnitOfWork,
        lease: LeaseId,
        claimed: &ClaimedEvent,
        outcome: Result<()>,
        drained: &mut Drained,
    ) -> Result<()> {
        let environment = self.store.environment();
        let event = &claimed.envelope;
        let Err(error) = outcome else {
            drained.delivered += usize::from(unit.outbox().delivered(lease, event.event_id).await?);
            return Ok(());
        };
        let now = environment.now();
        let report = format!("{error:?}");
        if claimed.attempts >= self.config.max_attempts {
            tracing::error!(event_id = %event.event_id, event_type = event.event_type, error = report, "event parked");
            drained.parked += usize::from(unit.outbox().park(lease, event.event_id, now, &report).await?);
            return Ok(());
        }
        let delay = backoff::delay(self.config.backoff, claimed.attempts, environment);
        let delay = delay.max(error.retry_after().unwrap_or_default().min(backoff::DAY));
        let not_before = now + TimeDelta::from_std(delay).map_err(Error::internal)?;
        let given_back = unit.outbox().retry(lease, event.event_id, not_before, &report).await?;
        drained.retried += usize::from(given_back);
        Ok(())
    }
}
