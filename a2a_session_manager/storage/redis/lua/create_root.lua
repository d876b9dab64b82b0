-- Makes a root with a commit that brings more than values. It is put after `root_of_values.lua`, which has read the
-- arguments up to there, and the rules of commits.

return create_here(take_all(header, counts), committed)
