"""The tables of harvests, and views of them with one row for each exemplar and each token.

A window is stored once for a harvest, a token's surface likewise; what is measured of a feature
lies in lists, of which DuckDB keeps little more than the numbers themselves.
"""

from __future__ import annotations

EXEMPLAR_DDL: tuple[str, ...] = (
    """CREATE TABLE IF NOT EXISTS harvests (
        harvest VARCHAR NOT NULL, subject VARCHAR NOT NULL, corpus VARCHAR NOT NULL,
        seed BIGINT NOT NULL, window_size INTEGER NOT NULL, n_windows INTEGER NOT NULL,
        n_tokens BIGINT NOT NULL, sample VARCHAR NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS harvest_windows (
        harvest VARCHAR NOT NULL, number INTEGER NOT NULL, document VARCHAR NOT NULL,
        position BIGINT NOT NULL, token_ids INTEGER[] NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS harvest_tokens (
        harvest VARCHAR NOT NULL, token_id INTEGER NOT NULL, token VARCHAR NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS feature_firings (
        harvest VARCHAR NOT NULL, feature INTEGER NOT NULL, n_active_tokens BIGINT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS feature_statistics (
        harvest VARCHAR NOT NULL, feature INTEGER NOT NULL, n_tokens BIGINT NOT NULL,
        n_active_tokens BIGINT NOT NULL, n_active_windows BIGINT NOT NULL,
        max_activation DOUBLE NOT NULL, scale DOUBLE NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS feature_histograms (
        harvest VARCHAR NOT NULL, feature INTEGER NOT NULL, highest FLOAT NOT NULL,
        counts INTEGER[] NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS feature_exemplars (
        harvest VARCHAR NOT NULL, feature INTEGER NOT NULL, split VARCHAR NOT NULL,
        bands VARCHAR[] NOT NULL, windows INTEGER[] NOT NULL, ends INTEGER[] NOT NULL,
        places INTEGER[] NOT NULL, activations FLOAT[] NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS feature_tokens (
        harvest VARCHAR NOT NULL, feature INTEGER NOT NULL, token_ids INTEGER[] NOT NULL,
        n_present BIGINT[] NOT NULL, n_active BIGINT[] NOT NULL,
        mean_activations FLOAT[] NOT NULL, total DOUBLE NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS harvest_census (
        harvest VARCHAR NOT NULL, windows INTEGER[] NOT NULL, n_proposed INTEGER NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS feature_census (
        harvest VARCHAR NOT NULL, feature INTEGER NOT NULL, n_windows INTEGER NOT NULL,
        gaps INTEGER[] NOT NULL, levels UTINYINT[] NOT NULL)""",
    """CREATE VIEW IF NOT EXISTS exemplars AS
    WITH spelt AS (
        SELECT harvest, number, list(token ORDER BY place) AS tokens
        FROM (SELECT harvest, number, unnest(token_ids) AS token_id,
            unnest(range(len(token_ids))) AS place FROM harvest_windows)
        JOIN harvest_tokens USING (harvest, token_id) GROUP BY harvest, number),
    ranked AS (
        SELECT harvest, feature, split, bands[n] AS band,
            n - list_position(bands, bands[n]) + 1 AS rank, windows[n] AS number,
            places[coalesce(ends[n - 1], 0) + 1:ends[n]] AS places,
            activations[coalesce(ends[n - 1], 0) + 1:ends[n]] AS fired
        FROM (SELECT *, unnest(range(1, len(bands) + 1)) AS n FROM feature_exemplars))
    SELECT harvest, feature, split || '/' || band || '/' || rank AS id, split, band,
        rank::INTEGER AS rank, document, position, token_ids, tokens,
        list_transform(range(len(token_ids)),
            lambda place: coalesce(fired[list_position(places, place)], 0)::FLOAT) AS activations,
        coalesce(list_max(fired), 0)::FLOAT AS max_activation,
        coalesce(places[list_position(fired, list_max(fired))], 0)::INTEGER AS peak
    FROM ranked JOIN harvest_windows USING (harvest, number)
    JOIN spelt USING (harvest, number)""",
    """CREATE VIEW IF NOT EXISTS token_statistics AS
    SELECT harvest, feature, rank, token_id, token, n_present, n_active, mean_activation,
        mean_activation * n_present / total AS share
    FROM (
        SELECT harvest, feature, total, unnest(range(1, len(token_ids) + 1))::INTEGER AS rank,
            unnest(token_ids) AS token_id, unnest(n_present) AS n_present,
            unnest(n_active) AS n_active, unnest(mean_activations)::DOUBLE AS mean_activation
        FROM feature_tokens)
    JOIN harvest_tokens USING (harvest, token_id)""",
)
"""Insert-only tables, and views.

`harvests.sample` is the fingerprint of the sample of which `harvest_windows` holds, by their number
in it, the windows that some exemplar is of. `feature_firings` also knows features that were only
looked at for a random draw; a feature with a row in `feature_statistics` has its exemplars stored.
`feature_histograms` counts the tokens on which a feature fires, all splits, in bins of equal width
from zero to its `highest` activation; features stored before the table was there have no row.
`feature_exemplars` lists those of one split by band and rank: exemplar n is of `windows[n]`, and
fires with `activations[ends[n - 1] + 1:ends[n]]` at the `places` (indices of tokens, from 0) there
and nowhere else. `feature_tokens` lists tokens by their share of the `total` activation.
`harvest_census.windows` is text common to all features; `feature_census` says where one fires in
the first `n_windows` of them, laid end to end: after so many tokens (`gaps`) from the place before,
and by so many 31sts of its scale.
"""
