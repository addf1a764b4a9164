//! What a project is, who may do what with it, and what is told of it.

use multitenancy::event::{Aggregate, Event};
use serde::{Deserialize, Serialize};
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
    pub name: String,
}

#[derive(Serialize)]
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
