"""What a trained run says: its score on a text, and its continuations of prompts."""

from tflm.data.store import TokenSplit

SAMPLING = {"temperature": 0.8, "top_p": 0.95, "seed": 0}
BEGINNING_CHARACTERS = 40


def score(run, split: TokenSplit, progress=None) -> dict:
    """What the run's objective measures, over a whole split.

    Args:
        run: a tflm.run.Run.
        split: of a store, or `held_out.split_of_file`.
        progress: called as progress("evaluate", done, total) in batches.

    Returns:
        The numbers of the objective's evaluator; of a language model those of LanguageModelScore.to_dict().
    """
    from trainers import experiment as experiments
    from trainers import objectives

    experiment = experiments.from_dict(run.experiment)
    objective = objectives.build(experiment.objective)
    evaluate = objective.evaluator(run.model, experiment.train, run.tokenizer)
    return evaluate(split, 0, progress)


def samples(run, prompts: list[str], num_tokens: int) -> list[str]:
    """One continuation of each prompt, drawn with SAMPLING; the prompt itself is not repeated.

    Args:
        run: a tflm.run.Run of a language model.
        prompts: at least one.
        num_tokens: at most, of each continuation.
    """
    from tflm.generation.decoding import Decoder
    from tflm.generation.sampling import SamplingConfig
    from tflm.generation.text import complete

    longest = max(len(run.tokenizer.encode(prompt)) for prompt in prompts)
    decoder = Decoder(run.model, 1 + longest + num_tokens)
    settings = SamplingConfig(**SAMPLING)
    # One by one: a prompt's random numbers depend on its row, and so would its text on the prompts before it.
    return [
        complete(decoder, run.tokenizer, [prompt], num_tokens, settings)[0] for prompt in prompts
    ]


def beginnings(tokenizer, split: TokenSplit, number: int) -> list[str]:
    """How some documents begin, spread over a split: prompts that every model has to go on from."""
    bounds = [*map(int, split.document_starts), len(split.tokens)]
    found = []
    for place in range(number):
        document = split.num_documents * (2 * place + 1) // (2 * number)
        start, end = bounds[document], bounds[document + 1]
        ids = split.tokens[start : min(end, start + 4 * BEGINNING_CHARACTERS)]
        text = tokenizer.decode(ids).lstrip()[:BEGINNING_CHARACTERS]
        # Not in the middle of a word, where the script has spaces.
        cut = max(text.rfind(" "), text.rfind("\n"))
        text = text[:cut] if cut > BEGINNING_CHARACTERS // 4 else text
        if text and text not in found:
            found.append(text)
    return found
