use std::collections::HashSet;

use async_trait::async_trait;

use super::{
    plane::OutboxRow,
    unit::{HasPlane, MemoryUnit},
};
use crate::{
    environment::Timestamp,
    error::Result,
    event::{Claim, ClaimedEvent, ConsumedEvents, Envelope, LeaseId, Outbox},
    id::EventId,
};

impl<D: HasPlane> MemoryUnit<D> {
    /// The place of an event that `lease` holds.
    fn held(&mut self, lease: LeaseId, event: EventId) -> Result<Option<(&mut D, i64)>> {
        let working = self.writable()?;
        let sequence = working
            .plane()
            .outbox
            .iter()
            .find(|(_, row)| row.envelope.event_id == event && row.lease.is_some_and(|(id, _)| id == lease))
            .map(|(sequence, _)| *sequence);
        Ok(sequence.map(|sequence| (working, sequence)))
    }
}

#[async_trait]
impl<D: HasPlane> Outbox for MemoryUnit<D> {
    async fn append(&mut self, event: &Envelope) -> Result<()> {
        let plane = self.writable()?.plane_mut();
        plane.last_sequence += 1;
        let sequence = plane.last_sequence;
        let envelope = Envelope { sequence, ..event.clone() };
        let row = OutboxRow { envelope, attempts: 0, not_before: None, lease: None, parked: false };
        plane.outbox.insert(sequence, row);
        Ok(())
    }

    async fn claim(&mut self, lease: LeaseId, now: Timestamp, until: Timestamp, limit: u32) -> Result<Claim> {
        let plane = self.writable()?.plane_mut();
        let mut blocked = HashSet::new();
        let mut claim = Claim { events: Vec::new(), next_due: None };
        for row in plane.outbox.values_mut().filter(|row| !row.parked) {
            if !blocked.insert(row.envelope.aggregate.clone()) {
                continue;
            }
            if claim.events.len() < limit as usize && row.free_at().is_none_or(|at| at <= now) {
                row.lease = Some((lease, until));
                row.attempts += 1;
                claim.events.push(ClaimedEvent { envelope: row.envelope.clone(), attempts: row.attempts });
            }
            let due = row.free_at().unwrap_or(now);
            claim.next_due = Some(claim.next_due.map_or(due, |earliest| earliest.min(due)));
        }
        Ok(claim)
    }

    async fn delivered(&mut self, lease: LeaseId, event: EventId) -> Result<bool> {
        let held = self.held(lease, event)?;
        Ok(held.map(|(data, sequence)| data.plane_mut().outbox.remove(&sequence)).is_some())
    }

    async fn retry(
        &mut self,
        lease: LeaseId,
        event: EventId,
        not_before: Timestamp,
        _error: &str,
    ) -> Result<bool> {
        let Some((data, sequence)) = self.held(lease, event)? else {
            return Ok(false);
        };
        if let Some(row) = data.plane_mut().outbox.get_mut(&sequence) {
            row.lease = None;
            row.not_before = Some(not_before);
        }
        Ok(true)
    }

    async fn park(&mut self, lease: LeaseId, event: EventId, _at: Timestamp, _error: &str) -> Result<bool> {
        let Some((data, sequence)) = self.held(lease, event)? else {
            return Ok(false);
        };
        if let Some(row) = data.plane_mut().outbox.get_mut(&sequence) {
            row.lease = None;
            row.parked = true;
        }
        Ok(true)
    }

    async fn pending(&mut self) -> Result<u64> {
        Ok(self.working.plane().outbox.values().filter(|row| !row.parked).count() as u64)
    }

    async fn parked(&mut self, limit: u32) -> Result<Vec<Envelope>> {
        let parked = self.working.plane().outbox.values().filter(|row| row.parked);
        Ok(parked.take(limit as usize).map(|row| row.envelope.clone()).collect())
    }
}

#[async_trait]
impl<D: HasPlane> ConsumedEvents for MemoryUnit<D> {
    async fn record(&mut self, consumer: &str, event: EventId) -> Result<bool> {
        Ok(self.writable()?.plane_mut().consumed.insert(consumer, event))
    }

    async fn contains(&mut self, consumer: &str, event: EventId) -> Result<bool> {
        Ok(self.working.plane().consumed.contains(consumer, event))
    }
}
