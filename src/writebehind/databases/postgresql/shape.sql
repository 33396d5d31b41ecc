-- What the catalogs say of a table.

-- name: find_table
-- quote_ident, since to_regclass reads its text as SQL does. Without a schema, the search_path decides.
SELECT c.oid, c.relkind::text
FROM pg_class AS c
WHERE c.oid = to_regclass(COALESCE(quote_ident(%(schema)s) || '.', '') || quote_ident(%(table)s));

-- name: columns
-- A domain counts as the type under it. collisdeterministic is NULL for types without a collation.
-- sql_type has no length and no scale: an explicit cast to varchar(3) would cut a text silently.
SELECT
    a.attname AS name,
    format_type(a.atttypid, a.atttypmod) AS type_name,
    base.typname AS base,
    CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END AS modifier,
    base.typnamespace = 'pg_catalog'::regnamespace AS is_builtin,
    base.typtype = 'e' AS is_enum,
    quote_ident(n.nspname) || '.' || quote_ident(base.typname) AS sql_type,
    pg_type_is_visible(base.oid) AS is_visible,
    COALESCE(NOT co.collisdeterministic, false) AS has_loose_equality,
    a.attgenerated <> '' AS is_generated,
    a.attidentity <> '' AS is_identity,
    a.attgenerated <> '' OR a.attidentity = 'a' AS is_always_generated,
    a.attnotnull OR t.typnotnull AS is_not_null,
    a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND t.typdefault IS NULL AS required,
    COALESCE(pg_get_expr(ad.adbin, ad.adrelid), pg_get_expr(t.typdefaultbin, 0)) AS default_expression
FROM pg_attribute AS a
JOIN pg_type AS t ON t.oid = a.atttypid
JOIN pg_type AS base ON base.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
JOIN pg_namespace AS n ON n.oid = base.typnamespace
LEFT JOIN pg_collation AS co ON co.oid = a.attcollation
LEFT JOIN pg_attrdef AS ad ON ad.adrelid = a.attrelid AND ad.adnum = a.attnum AND a.attgenerated = ''
WHERE a.attrelid = %(table)s AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum;

-- name: unique_indexes
-- Valid, over whole rows and plain columns, and checked at once: a deferrable constraint lets a key be
-- double inside a transaction and cannot serve ON CONFLICT. An index with another collation than a column
-- whose collation calls different texts equal does not make that column unique.
SELECT
    array_agg(a.attname::text ORDER BY part.number) AS names,
    i.indisprimary AS is_primary,
    i.indimmediate AND bool_and(
        COALESCE(co.collisdeterministic, true) OR i.indcollation[part.number - 1] = a.attcollation
    ) AS is_unique
FROM pg_index AS i
CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY AS part (attribute, number)
JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = part.attribute
LEFT JOIN pg_collation AS co ON co.oid = a.attcollation
WHERE i.indrelid = %(table)s AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
    AND part.number <= i.indnkeyatts
GROUP BY i.indexrelid, i.indisprimary, i.indimmediate, i.indcollation;
