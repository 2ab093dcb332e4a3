"""mmrouter: the cheapest model that will do it well."""
