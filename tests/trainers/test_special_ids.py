"""A published vocabulary has its special pieces where it likes: who asks the tokenizer, and who refuses."""

import numpy as np
import pytest

from tflm.data.encode import encode_documents
from tflm.data.split_in_memory import split_in_memory
from tflm.errors import UserError
from tflm.generation.readers import never_written
from tflm.text.tokenizer import TokenizerConfig, train
from tflm.text.wordpiece import SPECIAL_PIECES, WordPieceTokenizer, WordRules
from trainers import objectives
from trainers.objectives.causal import CausalConfig
from trainers.objectives.seq2seq import Seq2SeqConfig, Seq2SeqObjective
from trainers.objectives.skip_gram import SkipGramConfig

PIECES = ["the", "[UNK]", "[MASK]", "[SEP]", "##s", "[CLS]", "cat", "[PAD]", "[", "]", "unk"]


@pytest.fixture
def published():
    return WordPieceTokenizer(PIECES, SPECIAL_PIECES, WordRules(lowercase=True))


def test_documents_begin_and_end_with_its_own_ids(published):
    batch = encode_documents(published, ["The cats", "[UNK] dog"])
    # A literal [UNK] is three words to it, and hides nothing; the dog is unknown.
    assert batch.tokens.tolist() == [5, 0, 6, 4, 3, 5, 8, 10, 9, 1, 3]
    assert batch.counts[:, -1].tolist() == [0, 1]
    split = split_in_memory([batch], published)
    assert split.bos_id == 5
    assert np.array_equal(split.document_starts, [0, 5])
    assert published.decode(batch.tokens[:5]) == "the cats"


def test_what_no_target_holds(published):
    assert set(never_written(published)) == {7, 5, 2}
    assert never_written(train(TokenizerConfig(kind="byte"), [])) == (0, 2)


def test_tables_of_words_need_the_first_ids(published):
    message = (
        "A model of word2vec has its special tokens at the ids 0 to 3. Received: a tokenizer with 7, 1, 5, 3, 2. "
        "Leave out --config.tokenizer.load_from to train one."
    )
    for config in (SkipGramConfig(), CausalConfig()):
        with pytest.raises(UserError) as error:
            objectives.check_special_ids(config, "word2vec", published)
        assert str(error.value) == message
    objectives.check_special_ids(CausalConfig(), "gpt", published)
    learnt = train(TokenizerConfig(kind="wordpiece"), ["a text to learn from"])
    objectives.check_special_ids(SkipGramConfig(), "word2vec", learnt)


def test_sources_need_their_padding(published):
    with pytest.raises(UserError) as error:
        Seq2SeqObjective(Seq2SeqConfig()).read_tokenizers(published, published)
    assert str(error.value) == (
        "A source is padded with the id 0, which must be the pad_id of its tokenizer. Received: 7. "
        "Leave out its load_from to train one."
    )
