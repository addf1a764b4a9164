//! Projects: their type, permissions, event and subscriber.

use std::sync::Arc;

use multitenancy::{
    Result,
    bus::{Delivery, Subscription},
    event::{Aggregate, Event},
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, Unexpected},
};
use uuid::Uuid;

multitenancy::permissions! {
    /// See the tenant's projects.
    pub ReadProjects = "read_projects";
    /// Create projects in the tenant.
    pub WriteProjects = "write_projects";
}

#[derive(Serialize, sqlx::FromRow)]
pub struct Project {
    pub id: Uuid,
    pub name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewProject {
    #[serde(deserialize_with = "name")]
    pub name: String,
}

/// Validates a project's name. An error becomes a reply 422 that names the field.
fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    if name.trim().is_empty() || name.chars().count() > 200 {
        return Err(D::Error::invalid_value(
            Unexpected::Str(&name),
            &"1 to 200 characters, not all of them blank",
        ));
    }
    Ok(name)
}

#[derive(Serialize, Deserialize)]
pub struct ProjectCreated {
    pub id: Uuid,
}

impl Event for ProjectCreated {
    const TYPE: &'static str = "project.created";
    const VERSION: u32 = 1;

    fn aggregate(&self) -> Aggregate {
        Aggregate::new("project", self.id)
    }
}

/// Prints each new project after its transaction has committed. If the process is killed in between, it can print one twice.
pub fn announcer() -> Result<Subscription> {
    Subscription::new("announcer", ProjectCreated::TYPE, |delivery: Arc<Delivery>| async move {
        let project: ProjectCreated = delivery.payload()?;
        if let Some(tenant) = delivery.context().tenant() {
            println!("{} has a new project: {}", tenant.slug, project.id);
        }
        Ok(())
    })
}
