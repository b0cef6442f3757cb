// The pages of the staff listener, as the navigation names them.
export const TITLES: Record<string, string> = { start: "First steps", console: "Console", board: "Board", calls: "Calls", audit: "Audit", flows: "Flows", alerts: "Alerts", subjects: "Subjects", drills: "Drills", people: "People", import: "Import", admin: "Admin", approvals: "Approvals" };
